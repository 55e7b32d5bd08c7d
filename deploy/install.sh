#!/usr/bin/env bash
# Copies the built programs and what belongs to them into place, or removes them again. Called by make install and
# make uninstall; honours DESTDIR and prefix. Never touches volumes' files or replicas' directories.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

action=${1:?usage: deploy/install.sh install|uninstall (through make)}
prefix=${prefix:-/usr/local}
bindir=${bindir:-$prefix/bin}
sbindir=${sbindir:-$prefix/sbin}
mandir=${mandir:-$prefix/share/man}
unitdir=${unitdir:-$prefix/lib/systemd/system}
udevdir=${udevdir:-$prefix/lib/udev/rules.d}
completiondir=${completiondir:-$prefix/share/bash-completion/completions}
docdir=${docdir:-$prefix/share/doc/lockstep}
sysconfdir=${sysconfdir:-/etc}
build=${B:-build/release}
root=${DESTDIR-}

# put MODE SOURCE DIRECTORY [NAME]
put()
{
	local target=$root$3/${4:-$(basename "$2")}
	if [[ $action == uninstall ]]; then
		rm -f "$target"
	else
		install -D -m "$1" "$2" "$target"
		printf '  %s\n' "$target"
	fi
}

# Units name the programs' real places.
put_unit()
{
	local filled
	filled=$(mktemp)
	sed -e "s,@sbindir@,$sbindir,g; s,@bindir@,$bindir,g; s,@sysconfdir@,$sysconfdir,g" "$1" >"$filled"
	put 644 "$filled" "$unitdir" "$(basename "$1")"
	rm -f "$filled"
}

[[ $action == install || $action == uninstall ]] || { echo "install.sh: '$action' is neither install nor uninstall" >&2 && exit 2; }
if [[ $action == install && ! -x $build/lockstep ]]; then
	echo "install.sh: $build/lockstep is not built: run make first" >&2
	exit 1
fi
put 755 "$build/lockstep" "$bindir"
put 755 "$build/lockstep-gateway" "$sbindir"
put 755 "$build/lockstep-replica" "$sbindir"
for unit in deploy/*.service; do
	put_unit "$unit"
done
put 644 deploy/60-lockstep.rules "$udevdir"
for page in docs/man/*.[1-9]; do
	[[ ! -e $page ]] || put 644 "$page" "$mandir/man${page##*.}"
done
for script in deploy/completion/*; do
	[[ ! -e $script ]] || put 644 "$script" "$completiondir" "$(basename "${script%.bash}")"
done
for example in deploy/*.example; do
	[[ ! -e $example ]] || put 644 "$example" "$docdir"
done
if [[ $action == install ]]; then
	cat <<-END
	Installed. The replica-server's unit runs as the system user 'lockstep':
	  useradd --system --home-dir /var/lib/lockstep --shell /usr/sbin/nologin lockstep
	  systemctl daemon-reload && udevadm control --reload
	END
fi
