"""Keys and passwords reach no message."""

from __future__ import annotations

import pytest

from sdft.common.errors import SdftError, run_main
from sdft.common.secrets import masked


def test_values_of_secret_variables_and_logins_are_masked(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefgh")
    monkeypatch.setenv("SOME_API_KEY", "sk-12345678")
    monkeypatch.setenv("KEYBOARD", "qwertyuiop")
    text = "hf_abcdefgh and sk-12345678 at https://me:word@host/v1 or https://token@host, with qwertyuiop, own-secret"
    assert masked(text, "own-secret") == "*** and *** at https://***@host/v1 or https://***@host, with qwertyuiop, ***"
    monkeypatch.setenv("SOME_API_KEY", "none")
    assert masked("there is none") == "there is none"


def test_a_command_that_fails_shows_no_secret(monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefgh")

    def main():
        raise SdftError("the hub said: bad token hf_abcdefgh; give another one.")

    with pytest.raises(SystemExit):
        run_main(main)
    assert "error: the hub said: bad token ***; give another one." in capsys.readouterr().err
