"""What theory says of a topology. Heavy libraries load here and nowhere below; no agent imports it."""
