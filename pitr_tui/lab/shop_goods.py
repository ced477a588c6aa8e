"""What the shop of the lab sells, and to whom: a roaster's mail order business."""

from __future__ import annotations

PRODUCTS: tuple[tuple[str, str, str], ...] = (
    ("ESP-101", "Espresso Napoli, whole beans, 1 kg", "24.90"),
    ("ESP-102", "Espresso Napoli, ground, 250 g", "7.40"),
    ("ESP-103", "Espresso Torino, whole beans, 1 kg", "26.50"),
    ("ESP-104", "Espresso Torino, ground, 250 g", "7.90"),
    ("ESP-105", "Espresso decaffeinated, whole beans, 500 g", "14.80"),
    ("FIL-201", "Filter Huehuetenango, whole beans, 250 g", "11.20"),
    ("FIL-202", "Filter Yirgacheffe, whole beans, 250 g", "12.60"),
    ("FIL-203", "Filter Sidamo natural, whole beans, 250 g", "12.90"),
    ("FIL-204", "Filter Kiambu AA, whole beans, 250 g", "13.80"),
    ("FIL-205", "Filter house blend, ground, 500 g", "13.50"),
    ("FIL-206", "Filter Sumatra Mandheling, whole beans, 250 g", "10.90"),
    ("CAP-301", "Capsules Lungo, 50 pieces", "17.50"),
    ("CAP-302", "Capsules Ristretto, 50 pieces", "17.50"),
    ("CAP-303", "Capsules Decaf, 50 pieces", "18.20"),
    ("TEA-401", "Darjeeling first flush, 100 g", "14.30"),
    ("TEA-402", "Assam Mokalbari, 250 g", "12.10"),
    ("TEA-403", "Sencha Uji, 100 g", "13.70"),
    ("TEA-404", "Earl Grey, 250 g", "10.40"),
    ("TEA-405", "Rooibos vanilla, 250 g", "8.60"),
    ("TEA-406", "Peppermint, organic, 100 g", "5.90"),
    ("MAC-501", "Espresso machine, two boilers", "1249.00"),
    ("MAC-502", "Espresso machine, one boiler", "589.00"),
    ("MAC-503", "Grinder, 64 mm flat burrs", "429.00"),
    ("MAC-504", "Grinder, hand driven, steel burrs", "89.00"),
    ("MAC-505", "Milk frother, electric", "64.50"),
    ("MAC-506", "Kettle with thermometer, 0.9 l", "79.90"),
    ("ACC-601", "Tamper, 58 mm, stainless steel", "34.90"),
    ("ACC-602", "Knock box, beech", "28.50"),
    ("ACC-603", "Milk jug, 350 ml", "16.90"),
    ("ACC-604", "Scale, 0.1 g, with timer", "49.00"),
    ("ACC-605", "Paper filters, size 02, 100 pieces", "6.20"),
    ("ACC-606", "Hand dripper, porcelain, size 02", "27.50"),
    ("ACC-607", "Server, glass, 600 ml", "23.90"),
    ("ACC-608", "Descaler, 500 ml", "9.80"),
    ("ACC-609", "Group brush", "7.50"),
    ("ACC-610", "Storage tin, 500 g", "12.40"),
    ("CUP-701", "Espresso cups, set of 4", "29.80"),
    ("CUP-702", "Cappuccino cups, set of 4", "36.40"),
    ("CUP-703", "Travel mug, 350 ml", "24.50"),
    ("GFT-801", "Gift box for beginners", "54.00"),
    ("GFT-802", "Gift voucher, 25", "25.00"),
    ("GFT-803", "Tasting set, five origins", "32.50"),
)

FIRST_NAMES = (
    *("Ada", "Ahmet", "Aino", "Alba", "Anders", "Aylin", "Bruno", "Carla", "Chiara", "Daan"),
    *("Dorota", "Elif", "Emil", "Esther", "Eva", "Fatou", "Felix", "Fiona", "Giulia", "Greta"),
    *("Hana", "Hugo", "Ines", "Ivan", "Jakub", "Joana", "Jonas", "Katrin", "Lars", "Leila"),
    *("Liam", "Linnea", "Lukas", "Mads", "Maria", "Marta", "Matteo", "Mila", "Nadia", "Nils"),
    *("Nora", "Olga", "Oskar", "Paula", "Pavel", "Petra", "Rafael", "Roza", "Samir", "Sofia"),
    *("Tariq", "Teresa", "Thomas", "Tomas", "Vera", "Viktor", "Wanda", "Yusuf", "Zoe", "Zofia"),
)
LAST_NAMES = (
    *("Andersson", "Baker", "Bauer", "Becker", "Bianchi", "Blanc", "Costa", "Demir", "Dubois"),
    *("Duarte", "Eriksen", "Farkas", "Ferrari", "Fischer", "Garcia", "Haas", "Hansen", "Horvat"),
    *("Ibrahim", "Jansen", "Jensen", "Kaya", "Keller", "Kowalska", "Laine", "Larsson", "Lopez"),
    *("Maes", "Marino", "Martin", "Mazur", "Meyer", "Moreau", "Murphy", "Nagy", "Nguyen"),
    *("Novak", "Nowak", "Olsen", "Pereira", "Peters", "Popescu", "Ricci", "Rossi", "Ruiz"),
    *("Santos", "Schmid", "Schulz", "Silva", "Simon", "Svoboda", "Toth", "Vargas", "Virtanen"),
    *("Visser", "Vogel", "Walsh", "Weber", "Wolf", "Yilmaz", "Zeman", "Ziegler"),
)
PLACES = (
    *(("Aarhus", "DK"), ("Amsterdam", "NL"), ("Antwerp", "BE"), ("Barcelona", "ES")),
    *(("Bergen", "NO"), ("Berlin", "DE"), ("Bologna", "IT"), ("Brno", "CZ"), ("Cork", "IE")),
    *(("Gdansk", "PL"), ("Ghent", "BE"), ("Graz", "AT"), ("Hamburg", "DE"), ("Helsinki", "FI")),
    *(("Krakow", "PL"), ("Leipzig", "DE"), ("Lille", "FR"), ("Lisbon", "PT"), ("Lyon", "FR")),
    *(("Malmo", "SE"), ("Milan", "IT"), ("Munich", "DE"), ("Porto", "PT"), ("Prague", "CZ")),
    *(("Rotterdam", "NL"), ("Turin", "IT"), ("Utrecht", "NL"), ("Vienna", "AT"), ("Zurich", "CH")),
)
MAIL = ("example.com", "example.net", "example.org")
STAFF = ("anna.keller", "ben.walsh", "carla.ruiz", "milan.novak")
CARRIERS = ("DHL", "DPD", "GLS", "UPS")
PAYMENTS = ("card", "card", "card", "paypal", "transfer")
SUPPLIERS = ("Hansa Kaffee", "Ricci Torrefazione", "Nordic Tea Trading", "Brewtools")
