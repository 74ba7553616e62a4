from dataclasses import dataclass
from typing import Any
import numpy as np
@dataclass(frozen=True)
class Dataset:
    images: Any
    labels: Any
    name: str = "x"
    split: str = "train"
    source: str = ""
    def __len__(self): return len(self.images)
    def batch(self, indices, xp=np):
        return xp.asarray(self.images[indices].astype(np.float32) / 127.5 - 1), xp.asarray(self.labels[indices])
def load(*a): pass
