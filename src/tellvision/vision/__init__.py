"""What is seen: backbones, the tracks they give, and the pooling of a track over a clip."""
