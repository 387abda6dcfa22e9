# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Completes lodge-toolbox in bash; install as share/bash-completion/completions/lodge-toolbox.

_lodge_toolbox() {
	local word=${COMP_WORDS[COMP_CWORD]} verb='' words='' i at=0
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-d | --door | --door-path | --conf) ((i++)) ;;
		-*) ;;
		*)
			verb=${COMP_WORDS[i]}
			at=$((COMP_CWORD - i))
			break
			;;
		esac
	done
	if [ -z "$verb" ]; then
		case ${COMP_WORDS[COMP_CWORD - 1]} in
		-d | --door) words='virtio port ioports daemon' ;;
		--door-path | --conf) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
		*) words='status share display rpc stat timesync script config logging device info help
			--door --door-path --conf --quiet --version --help' ;;
		esac
	elif [ "$at" = 1 ]; then
		case $verb in
		status) words=--json ;;
		share) words='list --json' ;;
		display) words='--json' ;;
		rpc) words='info-get info-set' ;;
		stat) words='hosttime speed sessionid balloon swap memlimit memres cpures cpulimit' ;;
		timesync) words='enable disable status' ;;
		script) words='power shutdown suspend resume' ;;
		config) words='get set remove' ;;
		logging) words=level ;;
		device) words='list status enable disable' ;;
		info) words=update ;;
		esac
	elif [ "$at" = 2 ]; then
		case $verb in
		script) words='enable disable set current default' ;;
		config) words='guest-ops powerops shares time logging' ;;
		logging) words='get set' ;;
		info) words=network ;;
		esac
	elif [ "$at" = 3 ]; then
		case $verb in
		config) words='allow-exec exec-users level links mount script-timeout poweroff-script poweron-script
			suspend-script resume-script sync zone' ;;
		script) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
		esac
	elif [ "$at" = 4 ] && [ "$verb" = logging ]; then
		words='error warning info debug'
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _lodge_toolbox lodge-toolbox vmware-toolbox-cmd
