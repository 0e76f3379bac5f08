#!/usr/bin/env bash
# bare_root.sh - runs a command of this checkout on a machine that has nothing: ./run bare [COMMAND …]
#
#   ./run bare                    ./run test quick there
#   ./run bare ./run demo         the whole fleet, first run included
#
# It makes a Debian 12 root of the smallest kind (debootstrap --variant=minbase), clones HEAD into
# it, and runs the command there in mount and PID namespaces of its own: what is forgotten in
# lab/packages.txt or uv.lock shows at once. Nothing of the host is used but its kernel, its network,
# and its certificate authorities. The root and every process in it are gone afterwards; BARE_ROOT=DIR
# keeps the root there, for a second run. Needs root, about 3 GB, and minutes.
set -euo pipefail
checkout=$(cd "$(dirname "$0")/.." && pwd)
[ $# -gt 0 ] || set -- ./run test quick

if [ -n "${BARE_ROOT:-}" ]; then
    root=$BARE_ROOT
else
    root=$(mktemp -d /var/tmp/postfleet-bare.XXXXXX)
    trap 'rm -rf --one-file-system "$root"' EXIT
fi
if [ ! -e "$root/etc/debian_version" ]; then
    echo "Bootstrapping Debian 12 into $root" >&2
    debootstrap --variant=minbase --include=git,ca-certificates bookworm "$root" \
        http://deb.debian.org/debian >"$root.log" || { tail -20 "$root.log"; exit 1; }
    rm -f "$root.log"
    # A host behind an inspecting proxy has authorities of its own.
    if compgen -G '/usr/local/share/ca-certificates/*' >/dev/null; then
        cp -r /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
        chroot "$root" update-ca-certificates >/dev/null
    fi
fi
cp /etc/resolv.conf /etc/hosts "$root/etc/"
rm -rf "$root/root/postfleet"
git clone -q --no-hardlinks "$checkout" "$root/root/postfleet"

# The inner shell is PID 1 of its namespace: when it ends, so does everything it started.
status=0
# shellcheck disable=SC2016
unshare --mount --pid --fork --kill-child --propagation private -- sh -ec '
    root=$1; shift
    # A mount point of its own, as the root of a machine is one.
    mount --bind "$root" "$root"
    for each in dev sys; do mount --rbind "/$each" "$root/$each"; done
    mount -t proc proc "$root/proc"
    mount -t tmpfs tmpfs "$root/run"
    exec chroot "$root" env -i HOME=/root TERM="$TERM" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        LANG=C.UTF-8 CI="$CI" SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
        PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
        sh -c "cd /root/postfleet && exec \"\$@\"" sh "$@"
' sh "$root" "$@" || status=$?
exit $status
