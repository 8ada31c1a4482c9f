"""The discriminator: the model, its encoders, and how it is trained."""
