"""Statistics without a sales word: intervals, survival, time series."""
