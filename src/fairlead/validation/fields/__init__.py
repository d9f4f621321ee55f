"""Times, dates, money and the like: the forms that models write them in, and the one form that is meant."""
