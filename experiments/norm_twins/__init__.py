"""Does RMSNorm flatten the profile? Twins that differ in their norm alone; docs/experiments/norm-twins.md tells."""
