"""What a new kind of provider begins with: files that run and are tested from the first moment."""
