"""The names of months and days of the week in seven languages; none means two months."""

from __future__ import annotations

MONTHS: dict[str, int] = {
    name: number
    for number, names in enumerate(
        (
            "ene enero gen gennaio jan janeiro januar januari january janv janvier jänner",
            "feb febbraio febrero februar februari february fev fevereiro févr février",
            "maart mar march mars marzo março mrt mär märz",
            "abr abril apr april aprile avr avril",
            "mag maggio mai maio may mayo mei",
            "giu giugno juin jun june junho juni junio",
            "juil juillet jul julho juli julio july lug luglio",
            "ago agosto août aug august augustus",
            "sep sept september septembre septiembre set setembro settembre setiembre",
            "oct october octobre octubre okt oktober ott ottobre out outubro",
            "nov november novembre novembro noviembre",
            "dec december dez dezember dezembro dic dicembre diciembre déc décembre",
        ),
        start=1,
    )
    for name in names.split()
}

WEEKDAYS: dict[str, int] = {
    name: number
    for number, names in enumerate(
        (
            "mon monday montag lundi lunes lunedì maandag",
            "tue tues tuesday dienstag mardi martes martedì dinsdag",
            "wed wednesday mittwoch mercredi miércoles mercoledì woensdag",
            "thu thur thurs thursday donnerstag jeudi jueves giovedì donderdag",
            "fri friday freitag vendredi viernes venerdì vrijdag",
            "sat saturday samstag sonnabend samedi sábado sabato zaterdag",
            "sun sunday sonntag dimanche domingo domenica zondag",
        )
    )
    for name in names.split()
}
"""Monday is 0."""

FILLERS = frozenset({"of", "the", "on", "de", "del", "le", "el", "il", "den", "der", "am"})
"""Words between the parts of a date that say nothing."""
