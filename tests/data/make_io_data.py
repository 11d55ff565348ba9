"""Writes npy/ and safetensors/ beside this file with NumPy and the reference safetensors package (run once, with
numpy 2.4 and safetensors 0.8): what our readers must agree with. Element i of an array in C order is i - 5 where the
type is signed, i where it is not, and odd(i) for bool; shapes are [2, 3, 4]."""
import pathlib

import numpy as np
from safetensors.numpy import save_file

here = pathlib.Path(__file__).parent
npy = here / "npy"
count = np.arange(24).reshape(2, 3, 4)

for name, dtype, order in [
    ("f2_little_c", "<f2", "C"), ("f2_big_fortran", ">f2", "F"),
    ("f4_big_c", ">f4", "C"), ("f4_little_fortran", "<f4", "F"),
    ("f8_little_c", "<f8", "C"), ("f8_big_fortran", ">f8", "F"),
    ("i1_c", "|i1", "C"), ("i2_big_fortran", ">i2", "F"),
    ("i4_little_c", "<i4", "C"), ("i8_little_fortran", "<i8", "F"),
]:
    np.save(npy / f"{name}.npy", np.array(count - 5, dtype=dtype, order=order))
for name, dtype in [("u1_c", "|u1"), ("u2_big_c", ">u2"), ("u4_little_c", "<u4"), ("u8_big_c", ">u8")]:
    np.save(npy / f"{name}.npy", count.astype(dtype))
np.save(npy / "bool_c.npy", count % 2 == 1)
np.save(npy / "scalar.npy", np.float32(2.5))
for version in (2, 3):
    with open(npy / f"version{version}.npy", "wb") as file:
        np.lib.format.write_array(file, np.array(count - 5, dtype="<f4"), version=(version, 0))

for name, array in [
    ("object", np.array([{"a": 1}, None], dtype=object)),
    ("string", np.array(["ab", "c"])),
    ("bytes", np.array([b"ab", b"c"])),
    ("complex", np.array([1 + 2j])),
    ("record", np.array([(1, 2.0)], dtype=[("x", "<i4"), ("y", "<f8")])),
    ("date", np.array(["2020-01-01"], dtype="datetime64[D]")),
    ("longdouble", np.array([1], dtype=np.longdouble)),
]:
    np.save(npy / f"refused_{name}.npy", array, allow_pickle=True)

save_file(
    {
        "half": np.array([1, -2, 0.5], dtype="f2"),
        "matrix": np.arange(6, dtype="f4").reshape(2, 3),
        "wide": np.array([1e30, -0.0], dtype="f8"),
        "index": np.array([[2**40]], dtype="i8"),
        "mask": np.array([True, False, True]),
        "scalar": np.array(7, dtype="f4"),
        "nothing": np.zeros((0, 3), dtype="f4"),
    },
    here / "safetensors" / "reference.safetensors",
    metadata={"format": "pt", "note": "written by safetensors"},
)
