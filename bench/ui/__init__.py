"""What the browser's tests measure."""
