"""The tests themselves: what lies in the home of whoever runs them makes no difference."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SEES = """
import sys
sys.path.insert(0, {tests!r})
import conftest
import os, subprocess
from pathlib import Path
from nuli.places import config_dir
from nuli.presets import presets
from nuli.scoring.weights import LAION_HEAD, cache_dir, locate
home = Path.home()
assert config_dir().is_relative_to(home) and cache_dir().is_relative_to(home)
print([preset.name for preset in presets().values() if preset.own], locate(LAION_HEAD), os.environ.get("NULI_AUTH"))
seen = subprocess.run([sys.executable, "-c", "from pathlib import Path; print(Path.home())"], capture_output=True)
assert seen.stdout.decode().strip() == str(home)
"""


def test_the_home_of_whoever_runs_them_is_not_read(tmp_path: Path) -> None:
    config = tmp_path / "nuli"
    config.mkdir()
    (config / "presets.ini").write_text("[mein Test ü]\nmode = hard\n[natural]\nmode = hard\n", "utf-8")
    (config / "sac+logos+ava1-l14-linearMSE.pth").write_bytes(b"no weights")
    tests = Path(__file__).parent
    variables = dict.fromkeys(("HOME", "USERPROFILE", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "APPDATA"), str(tmp_path))
    own = {"NULI_CONFIG": str(config), "NULI_CACHE": str(config), "NULI_AUTH": "me:secret", "RAY_ADDRESS": "nowhere"}
    path = os.pathsep.join([str(tests.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", SEES.format(tests=str(tests))],
        env={**os.environ, **variables, **own, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["[]", "None", "None"], done.stdout + done.stderr
