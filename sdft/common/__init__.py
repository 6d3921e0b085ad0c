"""What every other folder uses: errors with a remedy, files written whole, digests, locks, progress, endpoints."""
