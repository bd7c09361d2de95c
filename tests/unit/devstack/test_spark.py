from __future__ import annotations

import pytest

from devstack import spark
from devstack.process import StackError


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    assert "make spark-install" in spark.missing(tmp_path)
    (tmp_path / spark.STAMP).write_text(spark._wanted())
    monkeypatch.setattr(spark.shutil, "which", lambda _: None)
    assert "Java" in spark.missing(tmp_path)
    monkeypatch.setattr(spark.shutil, "which", lambda _: "/usr/bin/java")
    assert spark.missing(tmp_path) is None
    assert spark.install(tmp_path) == tmp_path / "bin" / "python"


def uv(tmp_path, monkeypatch, code):
    (tmp_path / "uv").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\necho broken >&2\nexit {code}\n')
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setattr(spark.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(spark, "VENV", tmp_path / "venv")
    (tmp_path / "venv").mkdir()
    return tmp_path / "venv"


def test_it_is_made_from_its_hashed_lock(tmp_path, monkeypatch):
    venv = uv(tmp_path, monkeypatch, 0)
    spark.install(venv)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[0].startswith("venv")
    assert "--require-hashes" in calls[1]
    assert calls[1].endswith("requirements.txt")
    assert (venv / spark.STAMP).is_file()


def test_a_failure_is_told_and_leaves_no_stamp(tmp_path, monkeypatch, capsys):
    venv = uv(tmp_path, monkeypatch, 3)
    with pytest.raises(StackError, match="broken"):
        spark.install(venv)
    assert not (venv / spark.STAMP).exists()
    monkeypatch.setattr(spark, "install", spark_fails)
    assert spark.main() == 1
    assert "broken again" in capsys.readouterr().err
    monkeypatch.setattr(spark, "install", lambda: "python")
    assert spark.main() == 0


def spark_fails():
    raise StackError("broken again")


def test_workers_use_the_same_python_and_the_library(tmp_path):
    given = spark.environment(tmp_path)
    assert given["PYSPARK_PYTHON"] == given["PYSPARK_DRIVER_PYTHON"] == str(tmp_path / "bin" / "python")
    assert given["PATH"].startswith(str(tmp_path / "bin"))
    assert given["PYTHONPATH"].endswith("include")
