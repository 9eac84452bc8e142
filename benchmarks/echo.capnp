@0xb1f5c4a3d2e19087;

interface Echo {
  echo @0 (given :Data) -> (returned :Data);
  length @1 (given :Data) -> (count :UInt32);
}
