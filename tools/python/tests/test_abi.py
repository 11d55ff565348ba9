"""The structures and codes that ctypes declares are those of the headers, as a C compiler lays them out."""

import ctypes
import re
import shutil
import subprocess
import sys

import pytest

import vocode
from conftest import TREE
from vocode import _library

STRUCTURES = {
    "vocode_error": _library.Error,
    "vocode_model_info": _library.ModelInfo,
    "vocode_synthesis": _library.Synthesis,
    "vocode_likelihood": _library.LikelihoodResult,
    "vocode_flow_progress": _library.FlowProgress,
    "vocode_image": _library.Image,
    "vocode_flow_options": _library.FlowOptions,
    "vocode_flow_info": _library.FlowInfo,
    "vocode_inference_progress": _library.InferenceProgress,
    "vocode_inference_options": _library.InferenceOptions,
    "vocode_evidence": _library.EvidenceResult,
}


@pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")
def test_structures(tmp_path):
    lines, expected = [], []
    for name, kind in STRUCTURES.items():
        lines.append(f'printf("%zu\\n", sizeof({name}));')
        expected.append(ctypes.sizeof(kind))
        for field, *_ in kind._fields_:
            lines.append(f'printf("%zu %zu\\n", offsetof({name}, {field}), sizeof((({name} *)0)->{field}));')
            expected += [getattr(kind, field).offset, getattr(kind, field).size]
    source = tmp_path / "layout.c"
    source.write_text(
        "#include <stddef.h>\n#include <stdio.h>\n#include <vocode/vocode.h>\nint main(void) { %s return 0; }\n"
        % "\n".join(lines)
    )
    program = tmp_path / "layout"
    subprocess.run(["cc", f"-I{TREE / 'include'}", source, "-o", program], check=True)
    found = subprocess.run([program], capture_output=True, check=True, text=True).stdout
    assert [int(number) for number in found.split()] == expected


def test_codes():
    header = (TREE / "include" / "vocode" / "status.h").read_text()
    codes = {name: int(value) for name, value in re.findall(r"X\((\w+), (\d+), \"", header)}
    assert codes == {status.name: status.value for status in vocode.Status}


def test_every_function_is_declared():
    headers = "".join(path.read_text() for path in (TREE / "include" / "vocode").glob("*.h"))
    exported = set(re.findall(r"VOCODE_API [^;{]*?\b(vocode_\w+)\(", headers))
    assert exported - {"vocode_status_text"} == set(_library._FUNCTIONS)


def test_versions_agree():
    cmake = re.search(r"project\(vocode VERSION (\S+)", (TREE / "CMakeLists.txt").read_text()).group(1)
    package = re.search(r'^version = "(\S+)"', (TREE / "tools/python/pyproject.toml").read_text(), re.M).group(1)
    assert vocode.version() == cmake == package


def test_a_missing_library_is_an_error():
    code = "import os\nos.environ['VOCODE_LIBRARY'] = '/nowhere.so'\n"
    code += "try: import vocode\nexcept Exception as e: print(type(e).__name__, e)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("VocodeError cannot load libvocode") and "/nowhere.so" in done.stdout
