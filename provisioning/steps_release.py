"""The release: a virtual environment of its own for each, made from the uploaded bundle. Pure.

It is made in its final directory (environments cannot be moved) and counts only when its file
`.complete` stands; what an interrupted run left is removed first. The switch comes later.
"""

from __future__ import annotations

from provisioning.actions import Script, Step, Upload
from provisioning.facts import Facts
from provisioning.wheelhouse import Bundle
from provisioning.wish import CURRENT, RELEASES, Wish

# --require-hashes and --no-index: pip installs exactly what the lock names, from nowhere else.
_INSTALL = """
umask 022
release={releases}/{id}
upload={tar}
rm -rf $release $upload.d
mkdir -p $upload.d
tar -xf $upload -C $upload.d
python3 -m venv --without-pip $release
$release/bin/python -I $upload.d/{pip}/pip --disable-pip-version-check -q install --no-index \\
  --find-links $upload.d --require-hashes --no-deps --no-cache-dir --no-compile \\
  -r $upload.d/requirements.txt
$release/bin/python -m compileall -q -j 0 $release/lib
rm -rf $upload $upload.d {old}
sync -f $release
touch $release/.complete
"""


def install(facts: Facts, wish: Wish, bundle: Bundle) -> Step | None:
    """Upload and install the release unless it is there whole."""
    if wish.release_id in facts.releases:
        return None
    tar = f"{RELEASES}/{bundle.path.name}"
    link = facts.paths.get(CURRENT)
    # the one that runs stays, to go back to
    old = sorted(facts.releases - {link.target if link else ""})
    text = _INSTALL.format(
        releases=RELEASES,
        id=wish.release_id,
        tar=tar,
        pip=bundle.pip_wheel,
        old=" ".join(f"{RELEASES}/{name}" for name in old),
    )
    return Step(
        "release",
        (f"{wish.release_id} is not installed",),
        (Upload(bundle.path, tar, bundle.sha256), Script(text)),
        "nothing uses the unfinished release; run it again",
    )
