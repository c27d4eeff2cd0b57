<?php

declare(strict_types=1);

use Illuminate\Database\Migrations\Migration;
use Illuminate\Database\Schema\Blueprint;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Hash;
use Illuminate\Support\Facades\Schema;

return new class extends Migration {
    public function up(): void
    {
        Schema::create('users', function (Blueprint $table): void {
            $table->id();
            $table->string('name')->unique();
            $table->string('password');
            $table->rememberToken();
        });
        Schema::create('orders', function (Blueprint $table): void {
            $table->id();
            $table->string('item');
            $table->integer('total');
            $table->string('placed_by');
        });
        foreach (['ada', 'bob', 'eve'] as $name) {
            DB::table('users')->insert(['name' => $name, 'password' => Hash::make("$name-at-the-desk")]);
        }
    }
};
