"""Files to read: tables, figures, the ledger and reports. Nothing is computed here."""
