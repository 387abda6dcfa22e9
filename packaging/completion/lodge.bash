# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Completes the lodge command in bash; install as share/bash-completion/completions/lodge. Verbs and
# options are what the command's own --help lists.

_lodge_vms() {
	local dir=${XDG_DATA_HOME:-$HOME/.local/share}/lodge run=${XDG_RUNTIME_DIR:-/run/user/$UID}/lodge path
	for path in "$dir"/*/vm.conf "$run"/*/vm/vm.conf; do
		[ -e "$path" ] || continue
		path=${path%/vm.conf}
		path=${path%/vm}
		echo "${path##*/}"
	done
}

_lodge_verbs() {
	lodge --help 2>/dev/null | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p'
	echo --help --version
}

_lodge_options() {
	lodge "$1" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u
}

# Those of a verb's options that a value follows, with a blank around each.
_lodge_valued() {
	lodge "$1" --help 2>/dev/null | sed -nE 's/^  (-., )?(--[a-z][a-z-]*)=.*/\1\2 /p' | tr ',\n' '  '
}

_lodge() {
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]} words='' i
	local valued
	local at=0 # which of the verb's own words this is

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_lodge_verbs)" -- "$word")
		return
	fi
	valued=" $(_lodge_valued "$verb") "
	case $previous in
	--kernel | --initrd | --disk | --root | -[kir])
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames
		return
		;;
	--network) words=none ;;
	--user | -u)
		mapfile -t COMPREPLY < <(compgen -u -- "$word")
		return
		;;
	--owner | -o)
		mapfile -t COMPREPLY < <(compgen -W 'user exact' -- "$word")
		return
		;;
	*) [[ $valued != *" $previous "* ]] || return ;;
	esac
	for ((i = 2; i < COMP_CWORD; i++)); do
		if [[ $valued = *" ${COMP_WORDS[i]} "* ]]; then
			i=$((i + 1))
			[ "${COMP_WORDS[i]}" != = ] || i=$((i + 1))
		elif [[ ${COMP_WORDS[i]} != -* ]]; then
			at=$((at + 1))
		fi
	done
	if [[ $word = -* ]]; then
		words=$(_lodge_options "$verb")
	else
		case $verb,$at in
		run,*) mapfile -t COMPREPLY < <(compgen -c -- "$word"); return ;;
		create,* | check,* | list,* | top,*) return ;;
		cp,*)
			mapfile -t COMPREPLY < <(compgen -f -- "$word"; compgen -S : -W "$(_lodge_vms)" -- "$word")
			compopt -o filenames -o nospace
			return
			;;
		var,0) words='get set list' ;;
		share,0) words='add remove list' ;;
		screenshot,1)
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
			compopt -o filenames
			return
			;;
		wait,1) words='tools ip off var' ;;
		var,1 | share,1 | *,0) words=$(_lodge_vms) ;;
		*) return ;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _lodge lodge
