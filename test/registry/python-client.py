"""PyPI's confluent-kafka against the facade: prints one JSON object of what it saw. Usage: python-client.py URL"""

import json
import sys

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

url = sys.argv[1]


def connect():
    return SchemaRegistryClient({"url": url})


def order(amount):
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Order",
        "type": "object",
        "properties": {"orderId": {"type": "string"}, "amount": {"type": amount}},
        "required": ["orderId", "amount"],
        "additionalProperties": False,
    }


def text(schema):
    return json.dumps(schema)


def code_of(call):
    try:
        call()
        return None
    except SchemaRegistryError as error:
        return [error.http_status_code, error.error_code]


seen = {}
client = connect()
subject = "orders-value"

first = client.register_schema(subject, Schema(text(order("integer")), "JSON"))
seen["sameId"] = connect().register_schema(subject, Schema(text(order("integer")), "JSON")) == first
found = connect().lookup_schema(subject, Schema(text(order("integer")), "JSON"))
seen["lookedUp"] = [found.subject, found.version, found.schema_id == first]
seen["byId"] = json.loads(connect().get_schema(first).schema_str)["title"]
seen["missing"] = code_of(lambda: connect().get_latest_version("nope"))
seen["missingId"] = code_of(lambda: connect().get_schema(4711))

context = SerializationContext("orders", MessageField.VALUE)
serialize = JSONSerializer(
    None,
    client,
    conf={"auto.register.schemas": False, "use.latest.version": True},
)
deserialize = JSONDeserializer(None, schema_registry_client=connect())
written = serialize({"orderId": "o-1", "amount": 1990}, context)
seen["magic"] = [written[0], int.from_bytes(written[1:5], "big") == first]
try:
    serialize({"orderId": 1}, context)
    seen["invalid"] = "accepted"
except SerializationError:
    seen["invalid"] = "refused"

seen["compatible"] = client.test_compatibility(subject, Schema(text(order("number")), "JSON"))
second = client.register_schema(subject, Schema(text(order("number")), "JSON"))
seen["evolved"] = second != first
seen["refused"] = code_of(
    lambda: client.register_schema(subject, Schema(text(order("boolean")), "JSON"))
)
seen["versions"] = client.get_versions(subject)
seen["oldRead"] = deserialize(written, context)

automatic = JSONSerializer(text(order("integer")), connect())
seen["autoRegistered"] = automatic({"orderId": "o-2", "amount": 1}, SerializationContext("new", MessageField.VALUE))[0]
seen["subjects"] = sorted(client.get_subjects())

money = {"$id": "money.json", "type": "object", "properties": {"amount": {"type": "integer"}}}
client.register_schema("money", Schema(text(money), "JSON"))
priced = {"$id": "priced.json", "title": "Priced", "type": "object", "properties": {"total": {"$ref": "money.json"}}}
reference = SchemaReference("money.json", "money", 1)
client.register_schema("priced-value", Schema(text(priced), "JSON", [reference]))
named = connect().get_latest_version("priced-value")
seen["references"] = [[one.name, one.subject, one.version] for one in named.schema.references]

seen["level"] = client.get_compatibility()
client.set_compatibility(subject, "NONE")
seen["ownLevel"] = client.get_compatibility(subject)
seen["unchecked"] = client.register_schema(subject, Schema(text(order("boolean")), "JSON")) > second
seen["deletedVersion"] = client.delete_version(subject, 1)
seen["deleted"] = client.delete_subject(subject)
seen["deletedForGood"] = client.delete_subject(subject, permanent=True)

print(json.dumps(seen))
