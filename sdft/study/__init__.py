"""The study as typed data: configuration, plan of runs, what tables and figures are made of, forecast."""
