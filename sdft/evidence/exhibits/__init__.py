"""What each table and figure of the paper says, one file each."""
