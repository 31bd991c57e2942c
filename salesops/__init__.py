"""salesops: CRM export in, trustworthy quarterly pack out."""
