"""A MongoDB server for laptops and tests: raw documents behind the wire protocol.

bson_view (values inside raw BSON) <- filters, storage <- library (mongomock) <- reads, writes, admin <- wire.
"""
