"""The virtual environment of the comparisons with other systems: made at the first run."""
import os
import subprocess
import sys
import venv
from pathlib import Path

PACKAGES = ["numpy", "onnx", "onnxruntime"]


def enter_environment():
    project = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("CONVPOOL_ORACLE_VENV") or project / "build" / "oracle-venv").absolute()
    if Path(sys.prefix).resolve() == folder.resolve():
        return
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    imports = "import " + ", ".join(PACKAGES)
    if subprocess.run([python, "-c", imports], stderr=subprocess.DEVNULL).returncode:
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run(pip + PACKAGES, check=True)
    os.execv(python, [str(python), sys.argv[0]] + sys.argv[1:])
