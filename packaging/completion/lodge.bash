# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Completes the lodge command in bash; install as share/bash-completion/completions/lodge.

_lodge_vms() {
	local dir=${XDG_DATA_HOME:-$HOME/.local/share}/lodge run=${XDG_RUNTIME_DIR:-/run/user/$UID}/lodge path
	for path in "$dir"/*/vm.conf "$run"/*/vm/vm.conf; do
		[ -e "$path" ] || continue
		path=${path%/vm.conf}
		path=${path%/vm}
		echo "${path##*/}"
	done
}

_lodge_options() {
	case $1 in
	check | list) echo --json --help ;;
	run) echo --name --cpus --memory --kernel --initrd --append --disk --share --root --user \
		--env --set --network --console --help ;;
	create) echo --cpus --memory --kernel --initrd --append --disk --share --help ;;
	stop) echo --timeout --help ;;
	show | info) echo --json --help ;;
	delete) echo --yes --help ;;
	*) echo --help ;;
	esac
}

_lodge() {
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]}
	local verbs='check run create start stop kill list show set info delete'

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$verbs --help --version" -- "$word")
		return
	fi
	case $previous in
	--kernel | --initrd | --disk | --root | -[kidr])
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames
		return
		;;
	--network)
		mapfile -t COMPREPLY < <(compgen -W none -- "$word")
		return
		;;
	--user | -u)
		mapfile -t COMPREPLY < <(compgen -u -- "$word")
		return
		;;
	--name | --cpus | --memory | --append | --share | --env | --timeout | -[ncmaset]) return ;;
	esac
	if [[ $word = -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_lodge_options "$verb")" -- "$word")
	elif [ "$verb" = run ]; then
		mapfile -t COMPREPLY < <(compgen -c -- "$word")
	elif [ "$verb" != create ] && [ "$verb" != check ] && [ "$verb" != list ]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_lodge_vms)" -- "$word")
	fi
}

complete -F _lodge lodge
