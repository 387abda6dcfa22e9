#compdef lodge-toolbox vmware-toolbox-cmd
# SPDX-License-Identifier: GPL-2.0-or-later
# Completes lodge-toolbox in zsh; install as share/zsh/site-functions/_lodge-toolbox.

_lodge_toolbox() {
	local verb='' i at=0
	for (( i = 2; i < CURRENT; i++ )); do
		case $words[i] in
		-d | --door | --door-path | --conf ) (( i++ )) ;;
		-* ) ;;
		* )
			verb=$words[i]
			at=$(( CURRENT - i ))
			break
			;;
		esac
	done
	case $verb,$at,$words[CURRENT-1] in
	,0,(-d|--door) ) _values door virtio port ioports daemon; return ;;
	,0,(--door-path|--conf) ) _files; return ;;
	esac
	case $verb,$at in
	,* )
		_values word status share display rpc stat timesync script config logging device info help \
			--door --door-path --conf --quiet --version --help
		;;
	status,1 | display,1 ) _values option --json ;;
	share,1 ) _values word list --json ;;
	rpc,1 ) _values request info-get info-set ;;
	stat,1 ) _values figure hosttime speed sessionid balloon swap memlimit memres cpures cpulimit ;;
	timesync,1 ) _values action enable disable status ;;
	script,1 ) _values event power shutdown suspend resume ;;
	script,2 ) _values action enable disable set current default ;;
	script,3 ) _files ;;
	config,1 ) _values action get set remove ;;
	config,2 ) _values section guest-ops powerops shares time logging ;;
	config,3 )
		_values key allow-exec exec-users level links mount script-timeout poweroff-script poweron-script \
			suspend-script resume-script sync zone
		;;
	logging,1 ) _values word level ;;
	logging,2 ) _values action get set ;;
	logging,4 ) _values level error warning info debug ;;
	device,1 ) _values action list status enable disable ;;
	info,1 ) _values action update ;;
	info,2 ) _values what network ;;
	esac
}

_lodge_toolbox "$@"
