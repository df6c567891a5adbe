"""Methods that tell skill from luck and from look-ahead: splits, resampling, overfitting, truncation."""
