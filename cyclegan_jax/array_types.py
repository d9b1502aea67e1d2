"""Names for the arrays that travel through the package: types with shapes.

The tests check them at every call; axes of one name have one size in a call.
"""

from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import Key as KeyType

Images = Float[Array, 'batch height width channels']  # in [-1, 1]
# As a generator takes them: the level of a slice may be one channel more.
Inputs = Float[Array, 'batch height width inputs']
Features = Float[Array, 'batch height width features']
Scores = Float[Array, 'batch rows columns 1']  # logits, one for each patch
Scalar = Float[Array, '']
Count = Int[Array, '']
Key = KeyType[Array, '']  # a typed PRNG key
Keys = KeyType[Array, 'batch']  # one of each image
Batch = dict[str, Images]  # {'a', 'b'}
Metrics = dict[str, Scalar]
