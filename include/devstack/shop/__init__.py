"""A shop with data in MongoDB, CSV drops and an API, whose truth is known at every hour.

vocabulary, dice <- scope <- people, goods, orders, api_items <- documents, csv_files, bad <- world <-
drops <- hours <- history <- shop. `targets` writes; nothing else here talks to servers.
"""

from devstack.shop.bad import BadRow
from devstack.shop.shop import Shop
from devstack.shop.targets import BUCKET, DATABASE, Targets
from devstack.shop.world import DATASETS

__all__ = ["BUCKET", "DATABASE", "DATASETS", "BadRow", "Shop", "Targets"]
