"""CAP over MQTT."""
