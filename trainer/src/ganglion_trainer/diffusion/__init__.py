"""UNetFC-DDPM: a diffusion model over the standardised flow vector that also tells classes apart."""
