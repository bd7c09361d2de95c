"""The words that the shop's data is made of, chosen so that scripts, quotes and line breaks are tried."""

from __future__ import annotations

FIRST_NAMES = {
    "female": (
        "Ana", "Bea", "Chloé", "Dagny", "Elif", "Freya", "Grażyna", "Hana", "Inês", "Jolanda",
        "Kaitlin", "Lucía", "Mirela", "Nadia", "Oona", "Priya", "Renée", "Siobhán", "Thu", "Zoë",
        "美咲", "Ольга",
    ),
    "male": (
        "Ali", "Bo", "Cormac", "Dušan", "Emre", "François", "Goran", "Håkon", "Ivo", "Jürgen",
        "Kwame", "Luka", "Mateo", "Nils", "Óscar", "Pavel", "Quentin", "Rafał", "Søren", "Tomáš",
        "健太", "Юрий",
    ),
    "other": (
        "Alex", "Charlie", "Kim", "Noor", "Robin", "Sam", "Sascha", "Yuki",
    ),
}  # fmt: skip

LAST_NAMES = (
    "Abara", "Baptiste", "Castro-Núñez", "D'Angelo", "Eriksen", "Fitzgerald", "Gökçe", "Haddad",
    "Ibarra", "Jónsdóttir", "Kowalska", "Lindqvist", "Mbeki", "Nguyễn", "O'Neill", "Petrović",
    "Quispe", "Rossi", "Šimek", "Tanaka", "Ueda", "van der Berg", "Watanabe", "Xu", "Çelik",
    "Zimmermann", "山田", "Иванова",
)  # fmt: skip

PLACES = (
    ("Portland", "OR", "US", "97201"),
    ("Austin", "TX", "US", "78701"),
    ("St. Paul", "MN", "US", "55101"),
    ("Toronto", "ON", "CA", "M5H 2N2"),
    ("Montréal", "QC", "CA", "H2Y 1C6"),
    ("São Paulo", "SP", "BR", "01310-100"),
    ("Köln", "NW", "DE", "50667"),
    ("München", "BY", "DE", "80331"),
    ("Lyon", "", "FR", "69001"),
    ("Kraków", "", "PL", "31-042"),
    ("Malmö", "", "SE", "211 19"),
    ("İzmir", "", "TR", "35250"),
    ("大阪", "", "JP", "530-0001"),
    ("Melbourne", "VIC", "AU", "3000"),
)
"""City, state, ISO country, postal code."""

STREETS = (
    "Harbour Road",
    "Rue de l'Écluse",
    "Mill Lane",
    "Königsallee",
    "Main St",
    "Plaza Mayor",
    "Beach Walk",
)

CATEGORIES = {
    "tops": ("tee", "shirt", "blouse", "polo", "knit"),
    "bottoms": ("jeans", "chinos", "skirt", "shorts"),
    "outerwear": ("parka", "raincoat", "blazer", "gilet"),
    "shoes": ("sneaker", "boot", "sandal"),
    "accessories": ("scarf", "belt", "cap", "tote", "socks"),
}
"""Category → sub-categories."""

COLOURS = ("ink", "sand", "moss", "brick", "ecru", "slate", "saffron", "naïve blue", "黒")
MATERIALS = ("linen", "organic cotton", "merino", "recycled nylon", "suede", 'twill 12"', "corduroy")
GENDERS = ("women", "men", "unisex", "kids")

DESCRIPTIONS = (
    "Soft, light and made to last.",
    'The "everyday" cut: straight leg, mid rise.',
    "Water-repellent; packs into its own pocket.\nMachine wash cold, line dry.",
    "Réservé aux jours de pluie, même l'été.",
    "  Runs small, order one size up  ",
    "n/a",
    "",
    "Emoji approved 👟🧦, comma, semicolon; tab\there.",
    'Ends with a quote"',
    "First line\nsecond line, with a comma\n\nfourth line after a blank one",
)

NOTES = (
    "",
    "gift wrap",
    'engrave "Für Zoë"',
    "n/a",
    "leave at door,\nring twice",
    "NULL",
    "ok 👍",
    " ",
    "it's fragile",
)

CARRIERS = ("postnl", "dhl", "ups", "canada post", "correios")
TAGS = ("vip", "gift", "first-order", "backorder", "staff, friends", "größe geprüft", "")
METHODS = ("card", "paypal", "gift_card", "bank_transfer")
CHANNELS = ("email", "sms", "post")

WORDS = (
    "harbour", "tide", "drift", "lantern", "pebble", "salt", "gull", "rope", "anchor", "mast",
    "shore", "current", "buoy", "compass", "kelp", "moor", "quay", "reef", "sail", "sand", "shoal",
    "spray", "swell", "wake", "wave", "wind", "knot", "hull", "keel", "deck", "bow", "stern", "oar",
    "net", "pier", "fog", "dune", "inlet",
)  # fmt: skip
"""What the API's titles and texts are made of."""
