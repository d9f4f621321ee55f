"""Currencies of ISO 4217 with their English names, those withdrawn since 2023 among them; codes for tests and none at all left out."""

from __future__ import annotations

CURRENCIES = """
AED UAE Dirham; United Arab Emirates Dirham; Emirati Dirham
AFN Afghan Afghani; Afghani
ALL Albanian Lek; Lek
AMD Armenian Dram
ANG Netherlands Antillean Guilder
AOA Angolan Kwanza; Kwanza
ARS Argentine Peso
AUD Australian Dollar
AWG Aruban Florin
AZN Azerbaijani Manat
BAM Bosnia-Herzegovina Convertible Mark
BBD Barbadian Dollar
BDT Bangladeshi Taka; Taka
BGN Bulgarian Lev
BHD Bahraini Dinar
BIF Burundian Franc
BMD Bermudan Dollar
BND Brunei Dollar
BOB Bolivian Boliviano; Boliviano
BOV
BRL Brazilian Real; Brazilian Reais
BSD Bahamian Dollar
BTN Bhutanese Ngultrum; Ngultrum
BWP Botswanan Pula; Pula
BYN Belarusian Ruble
BZD Belize Dollar
CAD Canadian Dollar
CDF Congolese Franc
CHE
CHF Swiss Franc
CHW
CLF
CLP Chilean Peso
CNY Chinese Yuan; Yuan; Renminbi; Yuan Renminbi; RMB
COP Colombian Peso
COU
CRC Costa Rican Colón
CUP Cuban Peso
CVE Cape Verdean Escudo
CZK Czech Koruna; Czech Crown
DJF Djiboutian Franc
DKK Danish Krone; Danish Crown
DOP Dominican Peso
DZD Algerian Dinar
EGP Egyptian Pound
ERN Eritrean Nakfa; Nakfa
ETB Ethiopian Birr; Birr
EUR Euro
FJD Fijian Dollar
FKP Falkland Islands Pound
GBP Pound Sterling; Sterling; British Pound; British Pound Sterling; UK Pound
GEL Georgian Lari; Lari
GHS Ghanaian Cedi; Cedi
GIP Gibraltar Pound
GMD Gambian Dalasi; Dalasi
GNF Guinean Franc
GTQ Guatemalan Quetzal; Quetzal
GYD Guyanaese Dollar
HKD Hong Kong Dollar
HNL Honduran Lempira; Lempira
HRK Croatian Kuna
HTG Haitian Gourde; Gourde
HUF Hungarian Forint; Forint
IDR Indonesian Rupiah; Rupiah
ILS Israeli New Shekel; New Israeli Shekel; Israeli Shekel; Shekel
INR Indian Rupee
IQD Iraqi Dinar
IRR Iranian Rial
ISK Icelandic Krona
JMD Jamaican Dollar
JOD Jordanian Dinar
JPY Japanese Yen; Yen
KES Kenyan Shilling
KGS Kyrgystani Som; Kyrgyzstani Som
KHR Cambodian Riel; Riel
KMF Comorian Franc
KPW North Korean Won
KRW South Korean Won; Korean Won
KWD Kuwaiti Dinar
KYD Cayman Islands Dollar
KZT Kazakhstani Tenge; Tenge
LAK Laotian Kip; Kip
LBP Lebanese Pound
LKR Sri Lankan Rupee
LRD Liberian Dollar
LSL Lesotho Loti
LYD Libyan Dinar
MAD Moroccan Dirham
MDL Moldovan Leu
MGA Malagasy Ariary; Ariary
MKD Macedonian Denar
MMK Myanmar Kyat; Kyat
MNT Mongolian Tugrik; Tugrik
MOP Macanese Pataca; Pataca
MRU Mauritanian Ouguiya; Ouguiya
MUR Mauritian Rupee
MVR Maldivian Rufiyaa; Rufiyaa
MWK Malawian Kwacha
MXN Mexican Peso
MXV
MYR Malaysian Ringgit; Ringgit
MZN Mozambican Metical
NAD Namibian Dollar
NGN Nigerian Naira; Naira
NIO Nicaraguan Córdoba
NOK Norwegian Krone; Norwegian Crown
NPR Nepalese Rupee
NZD New Zealand Dollar
OMR Omani Rial
PAB Panamanian Balboa; Balboa
PEN Peruvian Sol
PGK Papua New Guinean Kina; Kina
PHP Philippine Peso
PKR Pakistani Rupee
PLN Polish Zloty; Zloty; Złoty; Polish Złoty
PYG Paraguayan Guarani; Guarani
QAR Qatari Riyal
RON Romanian Leu
RSD Serbian Dinar
RUB Russian Ruble; Russian Rouble
RWF Rwandan Franc
SAR Saudi Riyal; Saudi Arabian Riyal
SBD Solomon Islands Dollar
SCR Seychellois Rupee
SDG Sudanese Pound
SEK Swedish Krona; Swedish Crown
SGD Singapore Dollar
SHP St. Helena Pound
SLE Sierra Leonean Leone
SLL
SOS Somali Shilling
SRD Surinamese Dollar
SSP South Sudanese Pound
STN São Tomé and Príncipe Dobra
SVC
SYP Syrian Pound
SZL Swazi Lilangeni
THB Thai Baht; Baht
TJS Tajikistani Somoni
TMT Turkmenistani Manat
TND Tunisian Dinar
TOP Tongan Pa'anga
TRY Turkish Lira
TTD Trinidad and Tobago Dollar
TWD New Taiwan Dollar; Taiwan Dollar; Taiwanese Dollar
TZS Tanzanian Shilling
UAH Ukrainian Hryvnia; Hryvnia
UGX Ugandan Shilling
USD US Dollar; United States Dollar; American Dollar
USN
UYI
UYU Uruguayan Peso
UYW
UZS Uzbekistani Som; Uzbekistan Sum
VED
VES Venezuelan Bolívar
VND Vietnamese Dong; Dong
VUV Vanuatu Vatu; Vatu
WST Samoan Tala; Tala
XAF Central African CFA Franc; CFA Franc BEAC
XAG
XAU
XCD East Caribbean Dollar
XCG Caribbean guilder
XDR Special Drawing Rights
XOF West African CFA Franc; CFA Franc BCEAO
XPD
XPF CFP Franc
XPT
YER Yemeni Rial
ZAR South African Rand; Rand
ZMW Zambian Kwacha
ZWG Zimbabwean Gold
ZWL
"""
