"""The entry point of a function on AWS Lambda's own Python, which calls `handler` itself.

Calls go to the same workers as in an image of the function: see serve.py.
"""

import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ.setdefault("DISPATCH_FUNCTION", os.path.join(HERE, "function"))
sys.path.insert(0, HERE)

import serve  # noqa: E402

# A handler that does not load fails the start, and with it the call that is under way.
pool = serve.Pool()


def handler(event, context):
    ends = time.time() + context.get_remaining_time_in_millis() / 1000
    return json.loads(serve.lambda_answer(pool, json.dumps(event).encode(), serve.left_ms(ends)))
