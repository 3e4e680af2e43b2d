"""Runs a Python handler as a component of the world dispatch:function/function."""

import importlib
import json
import sys
import traceback

import wit_world
from componentize_py_types import Err

MODULE = "{module}"
FUNCTION = "{function}"

# Loaded while the component is made, so that calls begin with everything imported.
handler = getattr(importlib.import_module(MODULE), FUNCTION)


class WitWorld(wit_world.WitWorld):
    def handle(self, context, payload):
        try:
            answer = handler(json.loads(context), json.loads(payload))
            return json.dumps(answer, allow_nan=False)
        except Exception as error:
            frames = traceback.format_exception(error)
            lines = "".join(frames).splitlines()
            message = f"{type(error).__name__}: {error}"
            raise Err(wit_world.Error(message, lines)) from None
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
