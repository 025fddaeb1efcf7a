"""install.py: what it finds missing and how it asks the host for it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("nuli_install", ROOT / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A host that only remembers what it was asked to install."""
    fake = SimpleNamespace(args=SimpleNamespace(skip_install=False), asked=[])
    fake.run_pip = lambda command, desc: fake.asked.append((command, desc))
    monkeypatch.setitem(sys.modules, "launch", fake)
    return fake


def test_nothing_to_do(install, launch, monkeypatch, capsys):
    monkeypatch.setattr(install, "is_present", lambda module: True)
    monkeypatch.setattr(install.missing, "__defaults__", (install.is_present,))
    monkeypatch.delitem(sys.modules, "launch")  # not even imported
    install.main()
    assert capsys.readouterr() == ("", "")


def test_only_what_is_missing(install, launch, monkeypatch):
    monkeypatch.setattr(install.missing, "__defaults__", (lambda module: module != "safetensors",))
    install.main()
    assert launch.asked == [('install "safetensors>=0.4"', "safetensors for NUlIE")]


def test_elsewhere_it_only_says_what_lacks(install, monkeypatch, capsys):
    monkeypatch.setattr(install.missing, "__defaults__", (lambda module: False,))
    monkeypatch.setitem(sys.modules, "launch", None)
    install.main()
    assert "safetensors" in capsys.readouterr().out


def test_skip_install_is_honoured(install, launch, monkeypatch):
    monkeypatch.setattr(install.missing, "__defaults__", (lambda module: False,))
    launch.args.skip_install = True
    install.main()
    assert launch.asked == []


def test_nothing_is_upgraded_and_torch_is_left_alone(install):
    for module, requirement in install.NEEDED:
        assert "torch" not in (module, requirement.split()[0].strip('"').split(">")[0])
        assert "upgrade" not in requirement and "-U" not in requirement
        assert ">" not in requirement or '"' in requirement, "a shell would read it as a redirection"


def test_presence(install):
    assert install.is_present("json")
    assert not install.is_present("no_such_module_of_anyone")
