-- What a call's first attempt had reserved: what the call counts for in budgets if it crashes.
ALTER TABLE calls ADD COLUMN reserved_nanousd INTEGER;
