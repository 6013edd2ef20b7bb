"""What is reached by HTTP on loopback: the webhook receiver, the page of a signed link, and the health check."""
