"""One call of boto3's Lambda client, which everybody uses; its answer as JSON."""

import json
import sys

import boto3

url, region, method, arguments = sys.argv[1:]
client = boto3.client(
    "lambda",
    endpoint_url=url,
    region_name=region,
    aws_access_key_id="test",
    aws_secret_access_key="test",
)
answer = getattr(client, method)(**json.loads(arguments))
if "Payload" in answer:
    answer["Payload"] = json.loads(answer["Payload"].read())
print(json.dumps(answer, default=str))
