"""The parts that steps are built of: values in, messages out."""
