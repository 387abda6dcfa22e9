#compdef lodge
# SPDX-License-Identifier: GPL-2.0-or-later
# Completes the lodge command in zsh; install as share/zsh/site-functions/_lodge. Verbs and options
# are what the command's own --help lists.

_lodge_vms() {
	local -a vms
	local base=${XDG_DATA_HOME:-$HOME/.local/share}/lodge run=${XDG_RUNTIME_DIR:-/run/user/$UID}/lodge
	vms=($base/*/vm.conf(N:h:t) $run/*/vm/vm.conf(N:h:h:t))
	_describe -t vms VM vms "$@"
}

_lodge() {
	local -a verbs options valued
	local verb=$words[2] i at=0 # which of the verb's own words this is
	if (( CURRENT == 2 )); then
		verbs=(${(f)"$(lodge --help 2>/dev/null | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\)  *\(.*\)/\1:\2/p')"})
		_describe -t verbs verb verbs
		return
	fi
	if [[ $words[CURRENT] = -* ]]; then
		options=(${(f)"$(lodge $verb --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u)"})
		_describe -t options option options
		return
	fi
	# A value follows these.
	valued=(${=${(f)"$(lodge $verb --help 2>/dev/null | sed -nE 's/^  (-., )?(--[a-z][a-z-]*)=.*/\1\2/p' | tr , ' ')"}})
	for (( i = 3; i < CURRENT; i++ )); do
		if (( $valued[(Ie)$words[i]] )); then
			(( i++ ))
		elif [[ $words[i] != -* ]]; then
			(( at++ ))
		fi
	done
	if (( i > CURRENT )); then
		_files
		return
	fi
	case $verb,$at in
	run,* ) _command_names -e ;;
	create,* | check,* | list,* | top,* ) ;;
	cp,* ) _alternative 'files:file:_files' 'vms:VM:_lodge_vms -S :' ;;
	var,0 ) _values action get set list ;;
	share,0 ) _values action add remove list ;;
	share,2 ) _files -/ ;;
	screenshot,1 ) _files ;;
	wait,1 ) _values condition tools ip off var ;;
	var,1 | share,1 | *,0 ) _lodge_vms ;;
	esac
}

_lodge "$@"
