"""python quickstart.py TRACKER: a file's whole life."""

import sys

from fdfs import Client

with Client(sys.argv[1]) as client:
    file_id = client.upload_file(__file__, metadata={"author": "Åse"})
    print(file_id, client.stat(file_id).size, "bytes")
    assert client.download(file_id).startswith(b'"""python quickstart.py')
    print(client.get_metadata(file_id))
    client.delete(file_id)
