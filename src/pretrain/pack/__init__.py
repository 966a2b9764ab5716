"""The `pack` stage: documents encoded and laid out as training sequences of one length."""
