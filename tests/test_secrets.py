"""Keys and passwords reach no message."""

from __future__ import annotations

import pytest

from sdft.common.endpoint import Endpoint, EndpointConfig
from sdft.common.errors import SdftError, run_main
from sdft.common.secrets import masked
from sdft.config import parse_config


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


def test_an_address_that_is_none_is_refused_and_not_repeated(monkeypatch, tmp_path):
    config = EndpointConfig(model="m", cache=str(tmp_path))
    for address in ("me:password@host/v1", "ftp//me:password@host", "host:8000", "https://"):
        monkeypatch.setenv("OPENAI_BASE_URL", address)
        with pytest.raises(
            SdftError, match="OPENAI_BASE_URL does not begin with http:// or https:// and a host"
        ) as said:
            Endpoint(config, "m", "judge")
        assert "password" not in str(said.value)
        with pytest.raises(SdftError, match=r"scales.paper.judge.base_url: an address begins with http") as said:
            parse_config({"scales": {"paper": {"judge": {"model": "m", "base_url": address}}}})
        assert "password" not in str(said.value)
