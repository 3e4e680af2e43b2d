"""Makes a simple index (PEP 503) of two wheels: one of Python, one with a compiled module."""

import base64
import hashlib
import os
import subprocess
import sysconfig
import zipfile

NATIVE = r"""
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *none) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "native", "", -1, methods};
PyMODINIT_FUNC PyInit_native(void) { return PyModule_Create(&module); }
"""


def wheel(name, tag, files):
    about = f"{name}-1.0.dist-info"
    pure = "true" if tag.endswith("any") else "false"
    files[f"{about}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
    files[f"{about}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: {pure}\nTag: {tag}\n".encode()
    )
    record = ""
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(content)}\n"
    files[f"{about}/RECORD"] = (record + f"{about}/RECORD,,\n").encode()
    file = f"{name}-1.0-{tag}.whl"
    os.makedirs(f"simple/{name}")
    with zipfile.ZipFile(f"simple/{name}/{file}", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    with open(f"simple/{name}/{file}", "rb") as archive:
        digest = hashlib.sha256(archive.read()).hexdigest()
    with open(f"simple/{name}/index.html", "w") as index:
        index.write(f'<!DOCTYPE html><a href="{file}#sha256={digest}">{file}</a>')


wheel("greet", "py3-none-any", {"greet.py": b"def hello(): return 'hello'\n"})
with open("native.c", "w") as source:
    source.write(NATIVE)
include = sysconfig.get_paths()["include"]
subprocess.run(["cc", "-shared", "-fPIC", f"-I{include}", "native.c", "-o", "native.so"], check=True)
version = sysconfig.get_config_var("py_version_nodot")
machine = sysconfig.get_platform().replace("-", "_").replace(".", "_")
with open("native.so", "rb") as module:
    wheel("native", f"cp{version}-cp{version}-{machine}", {"native.so": module.read()})
