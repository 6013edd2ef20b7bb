"""Agent Skills from elsewhere: read with caps, pinned by digest, merged with your edits."""
