"""Signs requests with botocore's own signer: a JSON list of them comes in, one of headers goes out."""

import datetime
import json
import sys

import botocore.auth
import botocore.awsrequest
import botocore.credentials


def sign(asked):
    now = datetime.datetime.strptime(asked["stamp"], "%Y%m%dT%H%M%SZ")
    botocore.auth.get_current_datetime = lambda *_, **__: now
    keys = botocore.credentials.Credentials(asked["id"], asked["secret"], asked["token"])
    signer = botocore.auth.SigV4Auth(keys, asked["service"], asked["region"])
    body = asked["body"].encode()
    request = botocore.awsrequest.AWSRequest(asked["method"], asked["url"], asked["headers"], body)
    signer.add_auth(request)
    return request.headers["Authorization"]


print(json.dumps([sign(asked) for asked in json.load(sys.stdin)]))
